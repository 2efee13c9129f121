"""EdgeBoxes near a click: edges, their groups, window scores, the search."""
