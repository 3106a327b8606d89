#include "cli/app.h"

int main(int argc, char** argv) { return ropewalk::cli::Run(argc, argv); }
