"""How a lesson's and a technique's screens are laid out."""
