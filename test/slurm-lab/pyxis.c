/* In place of pyxis: takes its options, tells the task what it was given (SRTCTL_LAB_IMAGE, SRTCTL_LAB_MOUNTS) and
 * starts no container. An image whose name begins with "refused/" cannot be imported. */
#include <stdlib.h>
#include <string.h>
#include <slurm/spank.h>

SPANK_PLUGIN(pyxis, 1);

enum { IMAGE, MOUNTS, NO_ENTRYPOINT, NO_HOME, OPTIONS };
static char *given[OPTIONS];

static int keep(int which, const char *value, int remote)
{
	(void)remote;
	free(given[which]);
	given[which] = strdup(value ? value : "");
	return ESPANK_SUCCESS;
}

static struct spank_option options[OPTIONS] = {
	{ "container-image", "IMAGE", "image of the container", 1, IMAGE, keep },
	{ "container-mounts", "A:B", "mounts of the container", 1, MOUNTS, keep },
	{ "no-container-entrypoint", NULL, "without entrypoint", 0, NO_ENTRYPOINT, keep },
	{ "no-container-mount-home", NULL, "without home", 0, NO_HOME, keep },
};

int slurm_spank_init(spank_t spank, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	for (int i = 0; i < OPTIONS; i++)
		if (spank_option_register(spank, &options[i]) != ESPANK_SUCCESS)
			return ESPANK_ERROR;
	return ESPANK_SUCCESS;
}

static int refused(void)
{
	return given[IMAGE] && strncmp(given[IMAGE], "refused/", 8) == 0;
}

int slurm_spank_user_init(spank_t spank, int count, char **arguments)
{
	(void)spank;
	(void)count;
	(void)arguments;
	if (refused())
		slurm_error("pyxis: failed to import docker image: %s", given[IMAGE]);
	return ESPANK_SUCCESS;
}

int slurm_spank_task_init(spank_t spank, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	if (refused())
		return -1; /* Slurm gives up a task for what is below 0 */
	if (given[IMAGE])
		spank_setenv(spank, "SRTCTL_LAB_IMAGE", given[IMAGE], 1);
	if (given[MOUNTS])
		spank_setenv(spank, "SRTCTL_LAB_MOUNTS", given[MOUNTS], 1);
	return ESPANK_SUCCESS;
}
