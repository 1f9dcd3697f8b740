"""What whole networks of real engines cost, in virtual time: ``make simulate``."""
