"""What trained models say of people and films: recommendations, the reasons for them, neighbours."""
