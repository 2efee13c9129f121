"""What decides the results of the stages: parameters, inputs and the files they read."""
