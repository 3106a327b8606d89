#include "cli/app.h"
#include "program/ends.h"

int main(int argc, char** argv) {
  ropewalk::program::PrepareEnds(
      {.out_of_memory = " (a shorter --length or --context needs less)"});
  return ropewalk::cli::Run(argc, argv);
}
