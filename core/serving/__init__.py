"""A serving job and what follows from it: memory, fit, the changes that would make it fit, and traffic."""
