"""The settings of this machine, as a running `orderly up` has them."""

import os

from flows.running import find_running
from flows.settings import SETTINGS_FILES, Settings, load_settings


def local_settings() -> Settings:
    """The settings, with the files of the running `orderly up` when the environment names none itself.

    So `orderly publish` next to `orderly up --sandbox` knows the sandbox's hosts and accounts.
    """
    settings = load_settings()
    running = find_running(settings.state)
    if running is None or SETTINGS_FILES in os.environ:
        return settings
    os.environ[SETTINGS_FILES] = os.pathsep.join(running.settings)
    return load_settings(prefect={"api_url": running.prefect_api})
