// One function a command: adds it to the app. Its callback does the work and
// throws what went wrong.

#ifndef ROPEWALK_CLI_COMMANDS_H_
#define ROPEWALK_CLI_COMMANDS_H_

#include <CLI/CLI.hpp>

namespace ropewalk::cli {

void AddRun(CLI::App& app);
void AddChat(CLI::App& app);
void AddServe(CLI::App& app);
void AddMeasure(CLI::App& app);
void AddNeedle(CLI::App& app);
void AddRemember(CLI::App& app);
void AddMemories(CLI::App& app);
void AddTune(CLI::App& app);
void AddBench(CLI::App& app);
void AddInspect(CLI::App& app);
void AddConvert(CLI::App& app);
void AddTokenize(CLI::App& app);
void AddPositions(CLI::App& app);
void AddDemo(CLI::App& app);
void AddLab(CLI::App& app);  // train and reproduce, which the lab runs
// Studies of `reproduce` that need no lab.
void AddReproduceReal(CLI::App& reproduce);
void AddReproduceMemories(CLI::App& reproduce);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_COMMANDS_H_
