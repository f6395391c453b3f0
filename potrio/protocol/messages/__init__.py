"""The venue's vocabulary: every event as a typed, frozen value, and the codec between it and JSON bytes."""
