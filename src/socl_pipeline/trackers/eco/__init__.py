"""ECO: a correlation filter on several feature maps, learnt while it tracks."""
