"""ECO: a correlation filter on continuous feature maps, learnt and updated while it tracks."""
