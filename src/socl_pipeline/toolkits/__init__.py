"""Our trackers under the interfaces of other toolkits."""
