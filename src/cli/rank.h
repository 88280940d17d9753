/* The k best passages for a query, and how they are printed. */
#ifndef EMILY_CLI_RANK_H
#define EMILY_CLI_RANK_H

#include "cli/index.h"

typedef struct cli_hit {
    double score;
    size_t passage;
} cli_hit;

typedef EM__VEC(cli_hit) cli_ranked;

/* The k passages whose vectors are most similar to `query`, as the index compares them, best first; of equals, the
 * first. */
em_status cli_rank(cli_ranked *ranked, const cli_index *index, const float *query, size_t k);

/* 0.71  notes.txt:10  Photosynthesis ...      with a heading when several queries are answered */
em_status cli_rank_human(em__str *out, const cli_ranked *ranked, const cli_index *index, const char *query,
                         size_t length, bool titled, bool follows);

em_status cli_rank_json(em__str *out, const cli_ranked *ranked, const cli_index *index, const char *query,
                        size_t length);

#endif
