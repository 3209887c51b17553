"""What is asked of the Hugging Face Hub and what comes back; core.models.hub.client does the asking."""
