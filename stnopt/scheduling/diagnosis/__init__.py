"""Why a demand cannot be met."""
