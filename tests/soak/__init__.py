"""Mixed load with random faults for as long as one likes; at its end every request is accounted for, memory and descriptors are flat."""
