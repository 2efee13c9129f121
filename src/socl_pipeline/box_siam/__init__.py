"""SiamFC trained on boxes, true or made from TOP maps: what SoCL is compared with."""
