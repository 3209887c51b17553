"""Every st.cache_* of the project, each with its ttl and bound. Caches are shared by all viewers."""
