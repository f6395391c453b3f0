"""Plans of a load run: what TOML says, as values, and the schedule that follows from them and a seed."""
