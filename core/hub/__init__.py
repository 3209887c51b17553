"""What is asked of the Hugging Face Hub and what comes back; core.model_hub does the asking."""
