/* The families that Emily runs. */
#include "models/bert/bert.h"
#include "models/distilbert/distilbert.h"
#include "models/family.h"
#include "models/mpnet/mpnet.h"

static const em__family *const families[] = {&em__bert,      &em__roberta,    &em__xlm_roberta,
                                             &em__camembert, &em__distilbert, &em__mpnet};

const em__family *em__family_at(size_t index)
{
    return index < sizeof families / sizeof *families ? families[index] : NULL;
}
