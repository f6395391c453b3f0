"""The soak: hours of clients and faults in virtual time, minutes of them over TCP, and what must hold all the while."""
