// The studies, one file each.

#ifndef ROPEWALK_LAB_STUDIES_STUDIES_H_
#define ROPEWALK_LAB_STUDIES_STUDIES_H_

#include "lab/studies/study.h"

namespace ropewalk::lab::studies {

const Study& ReRope();         // post 9708
const Study& Ntk();            // posts 9675, 9706
const Study& InvLeaky();       // post 9728
const Study& Hwfa();           // posts 9603, 9731
const Study& Entropy();        // posts 9588, 8823, 9034
const Study& Long();           // all of them side by side
const Study& DecoderOnly();    // posts 9529, 9547
const Study& Rank();           // post 9529
const Study& TiedEmbedding();  // post 9698
const Study& SignEmbedding();  // posts 9736, 9512
const Study& MonoFlow();       // posts 9662, 9660, 9467, 9668

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_STUDIES_H_
