"""Getting orders done."""
