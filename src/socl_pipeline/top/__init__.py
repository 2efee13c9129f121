"""Target objectness prior (TOP): proposals, objectness cues, maps and their store."""
