/* In place of pyxis: takes its options, tells the task what it was given (SRTCTL_LAB_IMAGE, SRTCTL_LAB_MOUNTS) and
 * starts no container. An image whose name begins with "refused/" cannot be imported, and a mount is HOST:INSIDE. */
#include <stdlib.h>
#include <string.h>
#include <slurm/spank.h>

SPANK_PLUGIN(pyxis, 1);

enum { IMAGE, MOUNTS };
static struct { char *name; int has_value; char *given; } known[] = {
	[IMAGE] = { "container-image", 1, NULL },
	[MOUNTS] = { "container-mounts", 1, NULL },
	{ "container-workdir", 1, NULL },
	{ "container-name", 1, NULL },
	{ "container-save", 1, NULL },
	{ "container-env", 1, NULL },
	{ "container-mount-home", 0, NULL },
	{ "no-container-mount-home", 0, NULL },
	{ "container-remap-root", 0, NULL },
	{ "no-container-remap-root", 0, NULL },
	{ "container-entrypoint", 0, NULL },
	{ "no-container-entrypoint", 0, NULL },
	{ "container-writable", 0, NULL },
	{ "container-readonly", 0, NULL },
};
enum { OPTIONS = sizeof known / sizeof known[0] };

static int mounts_are_pairs(const char *list)
{
	for (const char *at = list; at; at = strchr(at, ',')) {
		if (*at == ',')
			at++;
		const char *colon = strchr(at, ':'), *end = strchr(at, ',');
		if (!colon || colon == at || (end && colon > end) || colon[1] == '\0' || colon[1] == ',')
			return 0;
	}
	return 1;
}

static int keep(int which, const char *value, int remote)
{
	if (!remote && which == MOUNTS && !mounts_are_pairs(value)) {
		slurm_error("pyxis: --container-mounts: invalid format: %s", value);
		return ESPANK_BAD_ARG;
	}
	free(known[which].given);
	known[which].given = strdup(value ? value : "");
	return ESPANK_SUCCESS;
}

int slurm_spank_init(spank_t spank, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	for (int i = 0; i < OPTIONS; i++) {
		struct spank_option option = {
			.name = known[i].name,
			.arginfo = known[i].has_value ? "VALUE" : NULL,
			.usage = "as pyxis has it",
			.has_arg = known[i].has_value,
			.val = i,
			.cb = keep,
		};
		if (spank_option_register(spank, &option) != ESPANK_SUCCESS)
			return ESPANK_ERROR;
	}
	return ESPANK_SUCCESS;
}

static int refused(void)
{
	return known[IMAGE].given && strncmp(known[IMAGE].given, "refused/", 8) == 0;
}

int slurm_spank_user_init(spank_t spank, int count, char **arguments)
{
	(void)spank;
	(void)count;
	(void)arguments;
	if (refused())
		slurm_error("pyxis: failed to import docker image: %s", known[IMAGE].given);
	return ESPANK_SUCCESS;
}

int slurm_spank_task_init(spank_t spank, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	if (refused())
		return -1; /* Slurm gives up a task for what is below 0 */
	if (known[IMAGE].given)
		spank_setenv(spank, "SRTCTL_LAB_IMAGE", known[IMAGE].given, 1);
	if (known[MOUNTS].given)
		spank_setenv(spank, "SRTCTL_LAB_MOUNTS", known[MOUNTS].given, 1);
	return ESPANK_SUCCESS;
}
