/* Which names say that something is an averaged copy of the weights. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/weights/internal.h"

/* The length of the word at the beginning: letters, up to where a capital begins another one, as in
 * "EMACallback" and "modelEma". 0 where no letter stands there. */
static size_t word_length(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && isalpha((unsigned char)text[i])) {
        const bool is_capital = isupper((unsigned char)text[i]) != 0;
        const bool is_small_before = i && islower((unsigned char)text[i - 1]);
        const bool is_small_behind = i + 1 < length && islower((unsigned char)text[i + 1]);
        if (i && is_capital && (is_small_before || is_small_behind)) return i;
        i++;
    }
    return i;
}

bool pf_weights_has_word(const char *text, size_t length, const char *const *words)
{
    for (size_t at = 0, word; at < length; at += word ? word : 1) {
        word = word_length(text + at, length - at);
        for (int i = 0; word && words[i]; i++) {
            const size_t wanted = strlen(words[i]);
            const bool is_beginning = wanted && words[i][wanted - 1] == '-';
            const size_t compared = wanted - is_beginning;
            if ((is_beginning ? word >= compared : word == compared) &&
                !strncasecmp(text + at, words[i], compared))
                return true;
        }
    }
    return false;
}
