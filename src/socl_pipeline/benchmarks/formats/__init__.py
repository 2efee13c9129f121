"""Result files of other toolkits: reading, writing, and archives for evaluation servers."""
