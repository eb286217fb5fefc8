"""What data and trained models say of people and films: explorations, recommendations, reasons, neighbours."""
