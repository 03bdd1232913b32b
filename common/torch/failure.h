// Failures inside the plugin: exceptions here, PfError outside.
#ifndef PF_COMMON_TORCH_FAILURE_H
#define PF_COMMON_TORCH_FAILURE_H

#include <exception>
#include <string>

#include "permafrost/error.h"

namespace permafrost {

// A failure whose message is complete as it stands.
class Failure : public std::exception {
public:
    Failure(PfExit exit_code, std::string message);
    explicit Failure(const PfError &error);
    const char *what() const noexcept override;
    PfExit exit_code() const noexcept;

private:
    PfExit exit_code_;
    std::string message_;
};

// The one line of the exception being handled that a person can use: without
// the stack traces that C++ and TorchScript add. Call it in a catch block.
std::string current_exception_text();

// Whether that is about memory that did not suffice, of the CPU, CUDA or its libraries. By the
// text, as the interpreter passes on nothing else.
bool is_out_of_memory(const std::string &text);

// Puts the exception being handled into err and returns -1. Call it in a catch block.
int fail_with_current_exception(PfError *err) noexcept;

// From now on an exception about memory or threads that nobody can catch ends the program with a
// message and PF_EXIT_FAILED, where others abort it.
void end_runs_without_memory();

} // namespace permafrost

#endif
