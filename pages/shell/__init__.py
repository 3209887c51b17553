"""What every page stands in: the look, links and exports, presenter mode, walks."""
