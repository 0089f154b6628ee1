"""A local estate to act on, so that the shipped catalogue runs, unchanged, without an account anywhere.

`python -m flows.sandbox --state DIR` starts all of it and keeps everything under DIR/sandbox:

    ports.json       the ports it had last time          settings.yaml    a settings layer that points Orderly here
    aws/journal      what the AWS endpoint remembers     ready.json       what runs now (only while it does)
    mail/*.eml       every mail that was sent            inventory/       the hosts, for Ansible
    hosts/NAME/      pid, and what the host changed in /etc, /home, /var and the rest

`inspection` reads back what happened there. Nothing outside DIR changes.
"""
