/* chown(2) for each argument, without looking first. */
#include <unistd.h>

int main(int count, char **paths) {
    for (int at = 1; at < count; at++)
        if (chown(paths[at], 101, 102))
            return at;
    return 0;
}
