"""Put searchapp on the desktop: menu entry, actions of file managers, units of systemd."""
