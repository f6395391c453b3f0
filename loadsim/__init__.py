"""Load and simulation: a venue to try things on."""
