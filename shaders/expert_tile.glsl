// Which members of which expert a workgroup is for: tile gl_WorkGroupID.y of those that
// route_group.comp listed.
uint tile_expert, tile_first, tile_count;

// False: no such tile, or not of this slab.
bool tile_open()
{
    uint at = args.tiles + gl_WorkGroupID.y * OSL_GPU_TILE_WORDS;
    tile_expert = act_u[at + OSL_GPU_TILE_EXPERT];
    tile_first = act_u[at + OSL_GPU_TILE_FIRST];
    tile_count = act_u[at + OSL_GPU_TILE_COUNT];
    return tile_expert >= args.expert_first && tile_expert - args.expert_first < args.expert_count;
}

// token * used + k of a slot; slots past the last are the last again.
uint tile_member(uint slot)
{
    return act_u[args.members + tile_first + min(slot, tile_count - 1u)];
}
