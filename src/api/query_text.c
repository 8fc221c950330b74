/* api/query_text.c: words separated by white space; a '*' or ';' is a word of its own. What is not
 * understood is refused rather than answered with something else. */
#include "api/query_text.h"

struct words {
    struct span text;
    size_t at; /* behind the word last given */
    size_t word_at;
};

static bool is_white(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Empty at the end. */
static struct span next_word(struct words *w)
{
    const uint8_t *d = w->text.data;

    while (w->at < w->text.len && is_white(d[w->at])) {
        w->at++;
    }
    w->word_at = w->at;
    while (w->at < w->text.len && !is_white(d[w->at])) {
        bool is_mark = d[w->at] == '*' || d[w->at] == ';';

        if (is_mark && w->at > w->word_at) {
            break;
        }
        w->at++;
        if (is_mark) {
            break;
        }
    }
    return span_first(span_from(w->text, w->word_at), w->at - w->word_at);
}

static bool is_one_of(struct span word, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (span_eq_nocase(word, span_str(*names))) {
            return true;
        }
    }
    return false;
}

static bool follow(struct words *w, const char *const *names)
{
    struct span word = next_word(w);

    if (span_is_empty(word)) {
        return true;
    }
    if (span_eq_nocase(word, SPAN("SELECT"))) {
        word = next_word(w);
    }
    if (!span_eq(word, SPAN("*"))) {
        return false;
    }
    word = next_word(w);
    if (span_eq_nocase(word, SPAN("FROM"))) {
        if (!is_one_of(next_word(w), names)) {
            return false;
        }
        word = next_word(w);
    }
    if (span_eq(word, SPAN(";"))) {
        word = next_word(w);
    }
    return span_is_empty(word);
}

bool query_text_is_everything(struct span text, const char *const *names, size_t *ret_at)
{
    struct words w = { .text = text };

    if (follow(&w, names)) {
        return true;
    }
    *ret_at = w.word_at + 1;
    return false;
}
