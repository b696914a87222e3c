"""Backup and restore of everything that this Nimbus keeps, as one file (ADR 20).

Both are jobs of minutes that outlive their call, and a restore outlives its process too:

    making      fills a new backup
    restoring   a restore as far as the tables: check, stop the plugins, keep what is there, replace the tables
    finishing   a restore from there on: bring the plugins back and enable them; or, when the tables were not
                replaced, only enable again what was on
    resuming    finds a restore that was cut off, by its `journal`, and has `finishing` do what is left

`restoring` ends in `finishing`, so a restore that was killed and one that was not take the same second half.

What they work on:

    shelf       the folder with the backups, the notes about jobs, and the lock of whoever works
    journal     what a restore has left to do, on the shelf before it is begun
    exclusion   what is refused to everybody else meanwhile
    progress    how far a job is, told to whoever looks

The file, from the outside to the inside:

    writer      its entries and checksums        verify      reads it as a restore does, to the last byte
    transfer    all tables, out and in           rows        one row as a line, believed no more than a call
    seals       the passphrase and its seals     media_feed  the numbers of the library's changes after a restore

Plugins, through the registry's ordinary calls:

    plugin_restore   one plugin's version, permissions and data
    plugin_switch    all of them off, and on again

`api` is what administrators call.
"""
