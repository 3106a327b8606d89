// Gives CMake something to compile where a target has nothing of its own.
