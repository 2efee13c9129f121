"""Learn visual tracking from single clicks (SoCL, arXiv 2404.09504)."""

__version__ = "0.1.0"
