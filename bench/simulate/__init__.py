"""The cost of whole networks of real engines, in virtual time: ``make simulate``."""
