"""The name server: it answers for the zone of the instances' DNS names, and for nothing else."""
