#include "common/torch/failure.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>

#include <unistd.h>

#include <c10/util/Exception.h>

#include "common/base/printable.h"

namespace permafrost {

Failure::Failure(PfExit exit_code, std::string message) : exit_code_(exit_code)
{
    PfError error; // which makes a name of a file or tensor in it fit to be printed
    pf_fail(&error, exit_code, "%s", message.c_str());
    message_ = error.message;
}

Failure::Failure(const PfError &error)
    : exit_code_(static_cast<PfExit>(error.exit_code)), message_(error.message)
{
}

const char *Failure::what() const noexcept
{
    return message_.c_str();
}

PfExit Failure::exit_code() const noexcept
{
    return exit_code_;
}

// The interpreter puts a trace before the cause, which starts "RuntimeError: ";
// what follows the cause's first line is a trace or advice on C++. Never empty.
static std::string first_line_of_cause(const std::string &text)
{
    const std::string mark = "RuntimeError: ", blank = " \t\r\n";
    size_t start = text.rfind(mark);
    start = text.find_first_not_of(blank, start == std::string::npos ? 0 : start + mark.size());
    if (start == std::string::npos) return "libtorch does not say why";
    std::string line = text.substr(start, text.find('\n', start) - start);
    size_t end = line.find_last_not_of(blank + ".");
    return end == std::string::npos ? line : line.substr(0, end + 1);
}

std::string current_exception_text()
{
    try {
        throw;
    } catch (const Failure &failure) {
        return failure.what();
    } catch (const c10::Error &error) {
        return first_line_of_cause(error.what_without_backtrace());
    } catch (const std::bad_alloc &) {
        return "out of memory";
    } catch (const std::system_error &error) {
        return std::string("cannot start a thread: ") + error.what();
    } catch (const std::exception &error) {
        return first_line_of_cause(error.what());
    } catch (...) {
        return "an unknown C++ exception";
    }
}

bool is_out_of_memory(const std::string &text)
{
    for (const char *part : {"out of memory", "ALLOC_FAILED", "bad_alloc", "not enough memory",
                             "allocate memory", "cannot start a thread"})
        if (text.find(part) != std::string::npos) return true;
    return false;
}

int fail_with_current_exception(PfError *err) noexcept
{
    try {
        throw;
    } catch (const Failure &failure) {
        return pf_fail(err, failure.exit_code(), "%" PF_SENTENCE, failure.what());
    } catch (...) {
        try {
            return pf_fail(err, PF_EXIT_FAILED, "libtorch: %s", current_exception_text().c_str());
        } catch (...) {
            return pf_fail(err, PF_EXIT_FAILED, "out of memory");
        }
    }
}

static void write_line(const char *text)
{
    const char *const name = program_invocation_short_name;
    for (const char *part : {name, ": error: libtorch: ", text, "\n"})
        if (write(STDERR_FILENO, part, std::strlen(part)) < 0) return;
}

// What was thrown where nothing may be, by a destructor for instance.
[[noreturn]] static void end_run()
{
    try {
        std::string text = current_exception_text();
        if (is_out_of_memory(text)) write_line(text.c_str());
        if (is_out_of_memory(text)) _exit(PF_EXIT_FAILED);
    } catch (...) { // there was no memory for the text
        write_line("out of memory");
        _exit(PF_EXIT_FAILED);
    }
    std::abort(); // a fault of the program
}

void end_runs_without_memory()
{
    std::set_terminate(end_run);
}

} // namespace permafrost
