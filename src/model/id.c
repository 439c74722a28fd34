/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

void rt_model_id(char out[RT_MODEL_ID_SIZE], uint64_t unix_ms,
                 const unsigned char random[RT_MODEL_ID_RANDOM]) {
        static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford: no I, L, O, U */
        for (int i = 9; i >= 0; i--, unix_ms >>= 5)
                out[i] = digits[unix_ms & (i == 0 ? 7 : 31)];
        unsigned bits = 0;
        unsigned n_bits = 0;
        int at = 10;
        for (int i = 0; i < RT_MODEL_ID_RANDOM; i++) {
                bits = (bits << 8 | random[i]) & 0xfff;
                for (n_bits += 8; n_bits >= 5; n_bits -= 5)
                        out[at++] = digits[bits >> (n_bits - 5) & 31];
        }
        out[at] = 0;
}
