// Reductions over a workgroup of WIDTH lanes, a power of two; every lane gets the result. SUBGROUP:
// by subgroup arithmetic first, of whatever width.

shared float lane_value[WIDTH];
shared uint lane_token[WIDTH];

// The largest logit and the lowest token that has it.
void group_best(inout float logit, inout uint token)
{
#ifdef SUBGROUP
    float most = subgroupMax(logit);
    uint first = subgroupMin(logit == most ? token : NONE);
    barrier();
    if (subgroupElect()) {
        lane_value[gl_SubgroupID] = most;
        lane_token[gl_SubgroupID] = first;
    }
    barrier();
    logit = lane_value[0];
    token = lane_token[0];
    for (uint i = 1; i < gl_NumSubgroups; i++) {
        bool better = lane_value[i] > logit || (lane_value[i] == logit && lane_token[i] < token);
        logit = better ? lane_value[i] : logit;
        token = better ? lane_token[i] : token;
    }
#else
    barrier();
    lane_value[LANE] = logit;
    lane_token[LANE] = token;
    for (uint other = WIDTH / 2; other > 0; other /= 2) {
        barrier();
        if (LANE < other) {
            float value = lane_value[LANE + other];
            uint first = lane_token[LANE + other];
            if (value > lane_value[LANE] ||
                (value == lane_value[LANE] && first < lane_token[LANE])) {
                lane_value[LANE] = value;
                lane_token[LANE] = first;
            }
        }
    }
    barrier();
    logit = lane_value[0];
    token = lane_token[0];
#endif
}

// In an order that depends on the workgroup's shape only.
float group_sum(float value)
{
#ifdef SUBGROUP
    float sum = subgroupAdd(value);
    barrier();
    if (subgroupElect()) {
        lane_value[gl_SubgroupID] = sum;
    }
    barrier();
    sum = lane_value[0];
    for (uint i = 1; i < gl_NumSubgroups; i++) {
        sum += lane_value[i];
    }
    return sum;
#else
    barrier();
    lane_value[LANE] = value;
    for (uint other = WIDTH / 2; other > 0; other /= 2) {
        barrier();
        if (LANE < other) {
            lane_value[LANE] += lane_value[LANE + other];
        }
    }
    barrier();
    return lane_value[0];
#endif
}

// Leaves in lane_value the sums of lanes 0..i, up to rounding; lane_value[WIDTH - 1] is of all.
void group_scan(float value)
{
    barrier();
    lane_value[LANE] = value;
    for (uint reach = 1; reach < WIDTH; reach *= 2) {
        barrier();
        float before = LANE >= reach ? lane_value[LANE - reach] : 0.0;
        barrier();
        lane_value[LANE] += before;
    }
    barrier();
}
