// Makes the step buffer that of the next decode step: one token, one position on, one row of
// logits. Wants USE_STEP_WRITE.

// What osl_vk_slots_fill gives for one token at `position` with one row of logits.
void renew_slot(uint s, uint position)
{
    uint rule = step_.slot[s].rule, tile = max(step_.slot[s].tile, 1u);
    if (rule == OSL_GPU_RULE_TOKENS_X) {
        step_.slot[s].x = 1;
    } else if (rule == OSL_GPU_RULE_TOKENS || rule == OSL_GPU_RULE_LOGITS_ROWS) {
        step_.slot[s].y = 1;
    } else if (rule == OSL_GPU_RULE_EXPERT_TILES) {
        step_.slot[s].y = (push.experts_used + tile - 1) / tile + push.experts;
    } else if (rule == OSL_GPU_RULE_SEGMENTS) {
        step_.slot[s].y = (position + tile) / tile;
    }
}

void advance(uint token)
{
    uint position = step_.position_first + step_.token_count, ring = step_.ring_index;
    barrier();
    for (uint s = LANE; s < OSL_GPU_SLOTS; s += WIDTH) {
        renew_slot(s, position);
    }
    if (LANE == 0) {
        result.ring[ring] = token == NONE ? -1 : int(token);
        if ((step_.pick.use_seen & OSL_GPU_SEEN_GROW) != 0 && token != NONE) {
            seen[token]++;
        }
        step_.token_count = 1;
        step_.position_first = position;
        step_.logits_row_first = 0;
        step_.logits_row_count = 1;
        step_.ring_index = (ring + 1) % OSL_GPU_RING;
        step_tokens[0] = token == NONE ? 0 : int(token); // -1 is no row of the embedding
    }
}
