"""Client and venue in one process, in virtual time, from one seed: the same history twice, with faults and checks."""
