"""Tables and figures that compare trainings: the paper's, and a user's own."""
