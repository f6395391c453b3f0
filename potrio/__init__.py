"""potrio: supervised actors on trio, and on them a PocketOption client that never sends an order twice."""
